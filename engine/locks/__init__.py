"""Lock strategies, one file each. All read afresh under their lock, then write."""
