"""What is fast, measured: ratios side by side in one run, each with a bar that it must not fall under."""
