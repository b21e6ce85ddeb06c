"""Devices of the laboratory: the only package that speaks Modbus and OPC UA."""
