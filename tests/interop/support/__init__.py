"""What every story shares: a DNS client, processes with an end, and the parts."""
