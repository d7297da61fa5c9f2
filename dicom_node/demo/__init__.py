"""What `make demo` needs beside the node itself."""
