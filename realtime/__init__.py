"""The real-time layer: every 30 s targets of a plan become setpoints of converters. Pure: frozen dataclasses in and
out.

No sockets, files, clocks or logs; times are seconds of one monotonic clock that the caller reads. Demand is positive;
``battery_kw`` > 0 discharges.
"""
