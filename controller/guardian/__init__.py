"""The guardian: a small process that puts converters into their safe state when the service stops giving signs of
life.
"""
