"""The HTTP service. `routes` is the table of all routes; `serve.run` starts it with its workers."""
