"""What answers operations: any OpenAI-compatible server, the embedded model, a pool of recorded samples."""
