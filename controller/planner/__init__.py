"""Plans computed outside of the control process: a child process, or a service of its own behind a socket."""
