// The block `anonymous` of an AuthenticationConfiguration: only when it is asked for or stands in a merged file, because it can
// stop an apiserver (k8s.io/apiserver 1.31 to 1.37).
import { ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { KubeVersion } from './kube_version.ts'
import type { AuthConfigPlan, AuthConfigRequest, PlanNote } from './auth_config_plan.ts'

/** Who may ask without a credential: nobody, probes, or probes and `kubeadm join`. */
export type AnonymousChoice = 'none' | 'health' | 'kubeadm'

const HEALTH_PATHS = ['/livez', '/readyz', '/healthz'] as const
/** `kubeadm join` reads it before it has any credential. */
const CLUSTER_INFO = '/api/v1/namespaces/kube-public/configmaps/cluster-info'

const WHY_ANONYMOUS = [
  'Two ways in which this stops an apiserver. It does not start when --anonymous-auth is given, too; and a change of this block is refused',
  'at every reload until the apiserver is restarted, together with every other change in the file.',
].join(' ')

/** What the file means without the block. */
export function absentAnonymous({ anonymous }: KubeVersion): string {
  const absent =
    'Nor of anonymous requests: the flag --anonymous-auth decides, and without it they are on. k3s and RKE2, which set it to false, leave it away where this file is used'
  return anonymous === 'unknown' ? `${absent}.` : `${absent}: there, --anonymous none keeps them off.`
}

/** The block, `undefined` for none, or why there can be no one block. */
export function planAnonymous({
  merged,
  anonymous,
}: Pick<AuthConfigRequest, 'merged' | 'anonymous'>): Result<AuthConfigPlan['anonymous'], PlanNote> {
  const [first, second] = merged.flatMap(({ file, config }) =>
    config.anonymous === undefined ? [] : [{ file, auth: config.anonymous }],
  )
  if (first === undefined) return ok(anonymous && askedAnonymous(anonymous))
  if (second === undefined && anonymous === undefined) {
    return ok({ why: `As it stood in ${first.file}. ${WHY_ANONYMOUS}`, auth: first.auth })
  }
  const asked = second === undefined ? '--anonymous is given' : `${second.file} has an anonymous block`
  const denial: PlanNote = {
    code: 'anonymous_merged_and_asked',
    message: `${asked}, and ${first.file} has one, too: only one can stand, and it cannot change at a reload`,
    wayOut: 'keep the one that runs; to change it, plan a restart of each apiserver',
  }
  return { ok: false, denial }
}

function askedAnonymous(choice: AnonymousChoice): NonNullable<AuthConfigPlan['anonymous']> {
  if (choice === 'none') {
    return {
      why: `${WHY_ANONYMOUS} Nobody without a credential may ask for anything: kubelet's probes of /livez and /readyz, which have none, fail, and kubelet restarts the apiserver again and again unless they are changed first. kubeadm join fails, too.`,
      auth: { enabled: false, conditions: [] },
    }
  }
  const paths = choice === 'kubeadm' ? [...HEALTH_PATHS, CLUSTER_INFO] : HEALTH_PATHS
  const reads =
    choice === 'kubeadm'
      ? 'Probes, and what kubeadm join reads first.'
      : 'Probes only: kubelet asks these without a credential, and restarts an apiserver that refuses. kubeadm join needs one path more (--anonymous kubeadm).'
  return {
    why: `${WHY_ANONYMOUS} ${reads} Everything else without a credential is a 401, the cluster's own OIDC discovery included.`,
    auth: { enabled: true, conditions: paths.map((path) => ({ path })) },
  }
}
