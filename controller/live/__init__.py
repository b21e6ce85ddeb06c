"""The live page: current state of the grid, prices, prosumers and the safety layer; read-only, on loopback.

The control loop publishes its records into a :class:`~controller.live.state.LiveState`;
:func:`~controller.live.server.live_server` serves them to browsers.
"""
