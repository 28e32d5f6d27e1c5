"""Parts of the benchmark `inference`: models, load, peers, and what is asked of the service."""
