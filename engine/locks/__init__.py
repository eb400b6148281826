"""Lock strategies, one file each. All of them read afresh under their lock, then write absolutes."""
