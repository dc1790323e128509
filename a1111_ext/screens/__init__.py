"""What the A1111 half shows: views as plain values, their HTML, and one gradio page."""
