"""What turns prompts into generations, in both arms."""
