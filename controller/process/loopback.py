"""The address at which processes of one machine listen for each other."""

LOOPBACK = "127.0.0.1"
