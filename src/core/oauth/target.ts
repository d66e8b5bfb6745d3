// Which audiences a request asks for: by Dex's scopes, by RFC 8693 `audience`, by RFC 8707 `resource`.
import type { AudienceTable } from '#core/audience.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'

export type TargetRequest = {
  readonly client: string
  readonly byScope: readonly string[]
  readonly audience: readonly string[]
  readonly resource: readonly string[]
}

/**
 * The requested audience ids, in request order. Scopes and parameters may both be sent when they mean the same set;
 * a resource is one of the configured URIs, compared as a string, and never echoed into `aud`.
 */
export function requestedAudiences(request: TargetRequest, table: AudienceTable): Result<readonly string[]> {
  if (request.audience.length === 0 && request.resource.length === 0) return ok(request.byScope)
  const byParameter = [...request.audience]
  for (const resource of request.resource) {
    if (!isAbsoluteUri(resource)) return deny({ reason: 'resource_malformed', resource })
    const audience = byResource(table, resource)
    if (audience === undefined)
      return deny({ reason: 'audience_not_trusted', client: request.client, refused: [resource] })
    if (!byParameter.includes(audience)) byParameter.push(audience)
  }
  if (request.byScope.length === 0) return ok(byParameter)
  if (!sameSet(request.byScope, byParameter)) {
    return deny({ reason: 'audience_sets_differ', byScope: request.byScope, byParameter })
  }
  return ok(request.byScope)
}

/** RFC 8707 §2: an absolute URI without a fragment. */
export function isAbsoluteUri(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:[^\s#]+$/.test(text) && URL.canParse(text)
}

function byResource(table: AudienceTable, resource: string): string | undefined {
  for (const audience of table.values()) if (audience.resources.includes(resource)) return audience.id
  return undefined
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.every((item) => right.includes(item)) && right.every((item) => left.includes(item))
}
