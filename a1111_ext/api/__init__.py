"""The WebUI's HTTP API: client, payloads, capabilities, linking LoRA files."""
