"""Addresses of the API, and an order that is well formed for each."""

V1 = "/api/v1"
MODE, ARM, STOP, OVERRIDE = f"{V1}/mode", f"{V1}/mode/arm", f"{V1}/stop", f"{V1}/override"
GETS = (f"{V1}/status", f"{V1}/devices", f"{V1}/plan")
ORDERS: dict[str, object] = {
    MODE: {"mode": "off"},
    ARM: {},
    STOP: {},
    OVERRIDE: {"device": "n4_converter", "p_kw": 1.0, "q_kvar": 0.0, "for_s": 60.0},
}
