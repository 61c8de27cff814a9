"""Named workloads against a started host, measured over HTTP from the start to the answer."""
