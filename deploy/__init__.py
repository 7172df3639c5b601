"""How Gonggu runs on a machine: units, the proxy, and all of it together to try."""
