"""`kubectl lbdoctor mcp`: the doctor as a tool for agents, over the Model Context Protocol (stdio).

`tools` is the table of what is offered, `desk` makes one call of it with the engine of the commands, `answers` cuts a
result to what an agent needs, and `protocol` alone knows the `mcp` package.
"""
