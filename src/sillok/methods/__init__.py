"""What the papers bring: one package per family, one method per file, liftable out of Sillok."""
