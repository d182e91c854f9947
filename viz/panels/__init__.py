"""The Gradio panels: the specimen on the left, and one lens a file."""
