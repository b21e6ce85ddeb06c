"""The offline verdict on what a run recorded: which invariant was broken, when a fault was noticed, what it led to."""
