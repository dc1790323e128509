"""The WebUI's HTTP API: client, payloads, capabilities, lending LoRA files."""
