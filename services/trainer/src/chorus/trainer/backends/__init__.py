"""What trains: torch, transformers' model code and peft. Imported by the training process alone."""
