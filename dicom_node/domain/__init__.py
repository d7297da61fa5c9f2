"""What the node keeps and decides: frozen values, states, audit events. No I/O."""
