"""The local HTTP API: what an operator, or a program that watches, may ask of a running service.

:class:`~controller.api.app.Api` is its HTTP, :class:`~controller.api.operations.Operations` what it does,
:func:`~controller.api.endpoints.openapi` its description. ``gridlab status|mode|override|stop`` are clients of it.
"""
