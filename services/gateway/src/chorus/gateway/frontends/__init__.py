"""Where commands come from and replies go to: one package a medium."""
