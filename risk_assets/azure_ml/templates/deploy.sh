#!/usr/bin/env bash
# Usage: az login && ./deploy.sh RESOURCE_GROUP WORKSPACE
# It is safe to run again: existing models and environments are kept, deployments and traffic are updated.
set -euo pipefail
workspace=(--resource-group "${1:?resource group}" --workspace-name "${2:?workspace}")
cd "$(dirname "$0")"
exists() { az ml "$@" "${workspace[@]}" --output none 2>/dev/null; }
run() { az ml "$@" "${workspace[@]}"; }

# Models and environments are immutable: create only the missing ones.
%assets

# Traffic can only go to existing deployments, so it is set last.
exists online-endpoint show --name %endpoint || run online-endpoint create --name %endpoint --auth-mode aad_token
for deployment in %deployments; do
  if exists online-deployment show --name $deployment --endpoint-name %endpoint; then action=update; else action=create; fi
  run online-deployment $action --file $deployment.yml
done
run online-endpoint update --file endpoint.yml
