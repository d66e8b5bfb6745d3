// Every object of a resource, page by page, for commands that look once.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import type { KubeConnection } from './kube_connection.ts'
import type { Asked } from './kube_target.ts'

/** @param options `query`: `fieldSelector=...`, without the page; `pageSize`: objects of a page at most */
export async function listAll(
  connection: KubeConnection,
  path: string,
  options: { readonly query?: string; readonly pageSize?: number; readonly accept?: string } = {},
): Asked<readonly JsonObject[]> {
  const { query = '', pageSize = 250, accept = 'application/json' } = options
  const found: JsonObject[] = []
  let next = ''
  do {
    const from = next === '' ? '' : `&continue=${encodeURIComponent(next)}`
    const rest = query === '' ? '' : `&${query}`
    const page = await connection.request({
      method: 'GET',
      path: `${path}?limit=${pageSize}${rest}${from}`,
      accept,
    })
    if (!page.ok) return page
    const { items, metadata } = page.value
    for (const item of Array.isArray(items) ? items : []) if (isJsonObject(item)) found.push(item)
    const token = isJsonObject(metadata) ? metadata['continue'] : undefined
    next = typeof token === 'string' ? token : ''
  } while (next !== '')
  return { ok: true, value: found }
}
