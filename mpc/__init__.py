"""Price computation: pure mathematics. No sockets, files or wall clock; arrays and frozen dataclasses in and out."""
