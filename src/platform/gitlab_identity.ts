// Dex's connector type `gitlab` in a token exchange (dex connector/gitlab TokenIdentity): GitLab's user API proves an
// access token of a person. The id_tokens of CI jobs do not work with it; they need a connector of type `oidc` or
// `gitlab-ci`.
import type { JsonObject, JsonValue } from '#core/claims.ts'
import { isJsonObject } from '#core/claims.ts'
import type { Connector, GitlabApi } from '#core/connector.ts'
import { checkReservedNames } from '#core/identity.ts'
import type { Identity } from '#core/identity.ts'
import { TOKEN_JSON_LIMITS, readStrictJson } from '#core/jwt/strict_json.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { bearerGet } from './bearer_get.ts'
import type { BearerGet } from './bearer_get.ts'
import type { IssuerKeysRegistry } from './issuer_keys/registry.ts'

const GROUPS_PER_PAGE = 100
/** Ten pages are a thousand groups; the requests of one exchange must end. */
const MAX_PAGES = 10
/** Groups whose effective permission is asked for one by one. */
const MAX_PERMISSION_LOOKUPS = 50
/** From GitLab's access levels; Dex names these three. */
const PERMISSIONS: ReadonlyMap<number, string> = new Map([
  [50, 'owner'],
  [40, 'maintainer'],
  [30, 'developer'],
])
const PERMISSION_CLAIMS = ['owner', 'maintainer', 'developer'].map((word) => ({
  word,
  claim: `https://gitlab.org/claims/groups/${word}`,
}))

type Api = BearerGet & { readonly base: string }

/**
 * Denials: `subject_malformed`, `subject_userinfo_failed`, `identity_groups_not_allowed`, `identity_group_reserved`,
 * `identity_name_reserved`, `issuer_keys_unavailable`.
 */
export async function readGitlabIdentity(
  token: string,
  connector: Connector,
  issuers: IssuerKeysRegistry,
): Promise<Result<Identity>> {
  const options = connector.gitlabApi
  if (options === undefined) throw new Error(`connector ${connector.id} is not of type gitlab`)
  const api: Api = {
    base: options.baseUrl.replace(/\/+$/, ''),
    token,
    connector: connector.id,
    what: 'gitlab',
    fetch: issuers.of(connector).fetch,
  }
  const user = await readObject(api, '/api/v4/user')
  if (!user.ok) return user
  const { id, username } = user.value
  if (typeof id !== 'number' || typeof username !== 'string') return failed('the user has no id and username')
  const groups = await readGroups(api, options, id)
  if (!groups.ok) return groups
  const identity = {
    userId: options.useLoginAsId ? username : String(id),
    // Dex: the full name, else the e-mail address.
    username: text(user.value['name']) || text(user.value['email']),
    preferredUsername: username,
    email: text(user.value['email']),
    emailVerified: true,
    groups: groups.value,
  }
  const reserved = checkReservedNames(identity)
  return reserved === undefined ? ok(identity) : deny(reserved)
}

async function readGroups(api: Api, options: GitlabApi, userId: number): Promise<Result<readonly string[]>> {
  const all = options.inheritedGroups
    ? await inheritedGroups(api, options, userId)
    : await directGroups(api, options)
  if (!all.ok || options.groups.length === 0) return all
  const allowed = all.value.filter((group) => options.groups.includes(group))
  return allowed.length > 0
    ? ok(allowed)
    : deny({ reason: 'identity_groups_not_allowed', allowed: options.groups })
}

async function directGroups(api: Api, options: GitlabApi): Promise<Result<readonly string[]>> {
  const userinfo = await readObject(api, '/oauth/userinfo')
  if (!userinfo.ok) return userinfo
  const groups = texts(userinfo.value['groups'])
  return ok(options.getGroupsPermission ? [...groups, ...permissions(userinfo.value)] : groups)
}

async function inheritedGroups(
  api: Api,
  options: GitlabApi,
  userId: number,
): Promise<Result<readonly string[]>> {
  const records = await groupRecords(api)
  if (!records.ok) return records
  const paths = records.value.map((record) => record.path)
  if (!options.getGroupsPermission) return ok(paths)
  const userinfo = await readObject(api, '/oauth/userinfo')
  if (!userinfo.ok) return userinfo
  const known = permissions(userinfo.value)
  const open = records.value.filter((record) => !known.some((entry) => entry.startsWith(`${record.path}:`)))
  if (open.length > MAX_PERMISSION_LOOKUPS)
    return failed(`more than ${MAX_PERMISSION_LOOKUPS} inherited groups`)
  const found: string[] = []
  for (const record of open) {
    const permission = await effectivePermission(api, record, userId)
    if (!permission.ok) return permission
    if (permission.value !== undefined) found.push(`${record.path}:${permission.value}`)
  }
  return ok([...paths, ...known, ...found])
}

type GroupRecord = { readonly id: number; readonly path: string }

async function groupRecords(api: Api): Promise<Result<readonly GroupRecord[]>> {
  const records: GroupRecord[] = []
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const answer = await read(
      api,
      `/api/v4/groups?all_available=false&per_page=${GROUPS_PER_PAGE}&page=${page}`,
    )
    if (!answer.ok) return answer
    if (answer.value.status !== 200 || !Array.isArray(answer.value.json))
      return failed(`groups: status ${answer.value.status}`)
    const entries: readonly JsonValue[] = answer.value.json
    for (const entry of entries) {
      const path = isJsonObject(entry) ? text(entry['full_path']) || text(entry['path']) : ''
      if (isJsonObject(entry) && typeof entry['id'] === 'number' && path !== '')
        records.push({ id: entry['id'], path })
    }
    if (entries.length < GROUPS_PER_PAGE) return ok(records)
  }
  return failed(`more than ${MAX_PAGES * GROUPS_PER_PAGE} groups`)
}

/** A group that may not be looked into has no permission to tell (Dex skips 403 and 404). */
async function effectivePermission(
  api: Api,
  record: GroupRecord,
  userId: number,
): Promise<Result<string | undefined>> {
  const answer = await read(api, `/api/v4/groups/${record.id}/members/all/${userId}`)
  if (!answer.ok) return answer
  const { status, json } = answer.value
  if (status === 403 || status === 404) return ok(undefined)
  if (status !== 200 || !isJsonObject(json)) return failed(`members: status ${status}`)
  const level = json['access_level']
  return ok(typeof level === 'number' ? PERMISSIONS.get(level) : undefined)
}

function permissions(userinfo: JsonObject): readonly string[] {
  return PERMISSION_CLAIMS.flatMap(({ word, claim }) =>
    texts(userinfo[claim]).map((group) => `${group}:${word}`),
  )
}

async function readObject(api: Api, path: string): Promise<Result<JsonObject>> {
  const answer = await read(api, path)
  if (!answer.ok) return answer
  const { status, json } = answer.value
  return status === 200 && isJsonObject(json) ? ok(json) : failed(`${path}: status ${status}`)
}

async function read(
  api: Api,
  path: string,
): Promise<Result<{ status: number; json: JsonValue | undefined }>> {
  const answer = await bearerGet(`${api.base}${path}`, api)
  if (!answer.ok) return answer
  const { status, body } = answer.value
  const json = readStrictJson(body, TOKEN_JSON_LIMITS)
  return ok({ status, json: json.ok ? json.value : undefined })
}

function failed(detail: string): Result<never> {
  return deny({ reason: 'subject_userinfo_failed', detail })
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function texts(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}
