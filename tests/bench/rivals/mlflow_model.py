"""MLflow: save the fitted pipeline as a model whose `predict` answers with probabilities. Runs in MLflow's own environment."""

import sys

import joblib
import mlflow.sklearn


def main(pipeline: str, target: str) -> None:
    """Write the model's folder."""
    mlflow.sklearn.save_model(
        joblib.load(pipeline), target, pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle", pip_requirements=[]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
