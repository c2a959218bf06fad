"""Recipes: read, merged, checked, written, compared."""

from vlc_core.recipe.changes import Change, compare
from vlc_core.recipe.load import LoadedRecipe, load_recipe, validate_components
from vlc_core.recipe.schema import Recipe

__all__ = ["Change", "LoadedRecipe", "Recipe", "compare", "load_recipe", "validate_components"]
