"""The live page: what the grid, the prices, the prosumers and the safety layer do now; read-only, on loopback.

The loop publishes its records into a :class:`~controller.live.state.LiveState`;
:func:`~controller.live.server.live_server` shows them to browsers.
"""
