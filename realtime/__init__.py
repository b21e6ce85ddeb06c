"""The 30 s layer: targets of a plan become setpoints of converters. Pure: frozen dataclasses in and out.

No sockets, files, clocks or logs; times are seconds of one monotonic clock that the caller reads. Demand positive;
``battery_kw`` > 0 discharges.
"""
