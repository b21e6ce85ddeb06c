"""One operator, many prosumers (papers A and C): prices go out, profiles come back."""
