"""What several tests share: no tests of their own are in here."""
