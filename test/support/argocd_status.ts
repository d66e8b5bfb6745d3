// What an Application of Argo CD shows those who look at it, as plain values.

export type ArgoResource = {
  readonly kind: string
  readonly name: string
  readonly status: string
  readonly message: string
  readonly requiresPruning: boolean
}

export type ArgoStatus = {
  /** Synced, OutOfSync or Unknown; '' before the first comparison. */
  readonly sync: string
  /** The commit that was compared. */
  readonly revision: string
  readonly health: string
  /** Of the last operation: Running, Succeeded, Failed, Error; '' before the first. */
  readonly phase: string
  readonly message: string
  /** The commit that the last operation is about. */
  readonly operationRevision: string
  readonly retryCount: number
  readonly conditions: readonly { readonly type: string; readonly message: string }[]
  /** Of the comparison. */
  readonly resources: readonly ArgoResource[]
  /** Of the last operation. */
  readonly results: readonly ArgoResource[]
  readonly isBeingDeleted: boolean
}

/** Of the JSON of an Application. Absent fields are empty. */
export function readArgoApplication(application: unknown): ArgoStatus {
  const { metadata, status } = Object(application)
  const { sync, health, operationState, conditions, resources } = Object(status)
  const operation = Object(operationState)
  const result = Object(operation.syncResult)
  return {
    sync: textOf(Object(sync).status),
    revision: textOf(Object(sync).revision),
    health: textOf(Object(health).status),
    phase: textOf(operation.phase),
    message: textOf(operation.message),
    operationRevision: textOf(Object(Object(operation.operation).sync).revision ?? result.revision),
    retryCount: Number(operation.retryCount ?? 0),
    conditions: listOf(conditions).map(({ type, message }) => ({
      type: textOf(type),
      message: textOf(message),
    })),
    resources: listOf(resources).map(resourceOf),
    results: listOf(result.resources).map(resourceOf),
    isBeingDeleted: Object(metadata).deletionTimestamp !== undefined,
  }
}

function resourceOf(resource: Readonly<Record<string, unknown>>): ArgoResource {
  return {
    kind: textOf(resource['kind']),
    name: textOf(resource['name']),
    status: textOf(resource['status']),
    message: textOf(resource['message']),
    requiresPruning: resource['requiresPruning'] === true,
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map((item) => Object(item)) : []
}
