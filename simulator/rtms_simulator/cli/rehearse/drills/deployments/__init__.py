"""What `pulumi` does while meetings go on."""
