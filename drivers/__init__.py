"""Drivers of laboratory devices: the only package that speaks Modbus and OPC UA."""
