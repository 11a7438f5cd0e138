"""GraphQL requests, as the UI sends them."""

ERROR = "... on Error { message }"

CODE = f"""
query($name: String!) {{
  workspaceLocationEntryOrError(name: $name) {{ ... on WorkspaceLocationEntry {{ locationOrLoadError {{ __typename }} }} {ERROR} }}
}}
"""
SCHEDULER = 'query { instance { daemonHealth { daemonStatus(daemonType: "SCHEDULER") { healthy } } } }'
JOB_ASSETS = "query($pipeline: PipelineSelector!) { assetNodes(pipeline: $pipeline) { assetKey { path } } }"
LAUNCH = f"""
mutation($executionParams: ExecutionParams!) {{
  launchPipelineExecution(executionParams: $executionParams) {{ ... on LaunchRunSuccess {{ run {{ id }} }} {ERROR} }}
}}
"""
BACKFILL = f"""
mutation($backfillParams: LaunchBackfillParams!) {{
  launchPartitionBackfill(backfillParams: $backfillParams) {{ ... on LaunchBackfillSuccess {{ backfillId }} {ERROR} }}
}}
"""
RUNS = f"""
query($tags: [ExecutionTag!], $ids: [String!]) {{
  runsOrError(filter: {{tags: $tags, runIds: $ids}}) {{
    ... on Runs {{ results {{ runId status tags {{ key value }} creationTime startTime endTime }} }}
    {ERROR}
  }}
}}
"""
EVENTS = f"""
query($id: ID!) {{
  logsForRun(runId: $id) {{ ... on EventConnection {{ events {{ ... on MessageEvent {{ message }} }} }} {ERROR} }}
}}
"""
START_SCHEDULE = f"""
mutation($selector: ScheduleSelector!) {{
  startSchedule(scheduleSelector: $selector) {{ ... on ScheduleStateResult {{ scheduleState {{ id }} }} {ERROR} }}
}}
"""
START_SENSOR = f"""
mutation($selector: SensorSelector!) {{
  startSensor(sensorSelector: $selector) {{ ... on Sensor {{ sensorState {{ id }} }} {ERROR} }}
}}
"""
STOP_SENSOR = f"""
mutation($id: String!) {{
  stopSensor(id: $id) {{ ... on StopSensorMutationResult {{ instigationState {{ id }} }} {ERROR} }}
}}
"""
