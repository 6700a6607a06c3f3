"""Where results go besides the disk: one small protocol, one file per service."""
