"""One operator and many prosumers (papers A and C): the operator sends prices, prosumers answer with profiles."""
