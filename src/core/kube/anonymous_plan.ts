// The block `anonymous` of an AuthenticationConfiguration: only when it is asked for or stands in a merged file, because it can
// stop an apiserver (k8s.io/apiserver 1.31 to 1.37).
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

type AnonymousPlanned = {
  readonly plan: AuthConfigPlan['anonymous']
  readonly problems: readonly PlanNote[]
  readonly notes: readonly PlanNote[]
}

export function planAnonymous(request: AuthConfigRequest): AnonymousPlanned {
  const merged = request.merged.filter(({ config }) => config.anonymous !== undefined)
  const [first, second] = merged
  if (first?.config.anonymous === undefined && request.anonymous === undefined)
    return { plan: undefined, problems: [], notes: [] }
  if (second !== undefined || (first !== undefined && request.anonymous !== undefined)) {
    return refuseAnonymous({
      code: 'anonymous_merged_and_asked',
      message: `${second === undefined ? '--anonymous is given, and' : `${second.file} and`} ${first?.file} has an anonymous block, too: only one can stand, and it cannot change at a reload`,
      wayOut: 'keep the one that runs; to change it, plan a restart of each apiserver',
    })
  }
  const { version, versionText } = request
  if (version.anonymous === 'unknown') {
    return refuseAnonymous({
      code: 'anonymous_unknown_to_version',
      message: `kube-apiserver ${versionText} does not know the field anonymous, and refuses the file`,
      wayOut: 'use --anonymous-auth of the apiserver, or run 1.32 or later',
    })
  }
  const plan =
    first?.config.anonymous === undefined
      ? askedAnonymous(request.anonymous ?? 'health')
      : { why: `As it stood in ${first.file}. ${WHY_ANONYMOUS}`, auth: first.config.anonymous }
  return { plan, problems: [], notes: anonymousNotes(request) }
}

function refuseAnonymous(problem: PlanNote): AnonymousPlanned {
  return { plan: undefined, problems: [problem], notes: [] }
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

function anonymousNotes({ anonymous, version }: AuthConfigRequest): readonly PlanNote[] {
  const notes: PlanNote[] = []
  if (anonymous !== undefined) {
    notes.push({
      code: 'anonymous_asked',
      message:
        anonymous === 'none'
          ? 'without anonymous requests the probes of /livez and /readyz get 401, and kubelet restarts the apiserver'
          : 'an apiserver that runs without this block refuses the whole file at a reload, and one with --anonymous-auth does not start',
      wayOut: 'take --anonymous-auth away and restart each apiserver with the file, one after the other',
    })
  }
  if (version.anonymous === 'gated') {
    notes.push({
      code: 'anonymous_gated',
      message: 'kube-apiserver 1.31 takes the field anonymous only with its feature gate',
      wayOut: 'start it with --feature-gates=AnonymousAuthConfigurableEndpoints=true',
    })
  }
  return notes
}
