"""The local HTTP API of a running service, for operators and monitoring programs.

:class:`~controller.api.app.Api` handles HTTP, :class:`~controller.api.operations.Operations` executes the requests,
:func:`~controller.api.endpoints.openapi` describes them. ``gridlab status|mode|override|stop`` are its clients.
"""
