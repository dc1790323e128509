"""The config of a training: Kohya json, toml, arguments, presets; foreign forms."""
