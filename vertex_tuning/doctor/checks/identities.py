"""Accounts, Google's own agents, and who has which role on what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vertex_tuning.catalog import requirements
from vertex_tuning.catalog.requirements import PROJECT, Agent, Grant
from vertex_tuning.doctor import cures, late, resources
from vertex_tuning.doctor.checks.buckets import not_yours
from vertex_tuning.doctor.findings import Cure, Finding, Status, fault, ok, unset, warning
from vertex_tuning.doctor.resources import Resource
from vertex_tuning.doctor.seeing import Policy, Project

ACCOUNTS = {
    "submitter": "submits jobs",
    "service_account": "runs pipelines and jobs",
    "scheduler": "starts pipelines by the clock",
    "reward_account": "runs the service for rewards",
}
"""Settings that name an account of one's own, and what it does."""

_BASIC = ("roles/owner", "roles/editor", "roles/viewer")


def accounts(project: Project) -> Iterator[Finding]:
    """Each account of the settings: that it is there, and not switched off."""
    for setting, does in ACCOUNTS.items():
        email = project.configured.get(setting)
        if not email:
            yield unset(f"{setting}, which {does}")
        elif resources.member(email).startswith("serviceAccount:"):
            yield _account(project, setting, resources.account(email, project.id))


def _account(project: Project, setting: str, account: Resource) -> Finding:
    seen = project.get(account)
    if seen.missing:
        line = cures.gcloud("iam", "service-accounts", "create", account.id, f"--project={account.project}")
        what = f"there is no such account ({setting} of the settings)"
        return fault("VT140", account.label, what, Cure((line,), apply=True))
    if seen.trouble:
        return project.unseen(account.label, seen)
    if seen.value.get("disabled"):
        cure = Cure((cures.on(account, "enable"),))
        return fault("VT141", account.label, f"is disabled ({setting} of the settings)", cure)
    return ok(account.label, ACCOUNTS[setting])


def caller(project: Project) -> Iterator[Finding]:
    """What whoever asks may do: run jobs in the project, and act as the runner."""
    for setting in (PROJECT, "service_account"):
        resource = project.resource(setting)
        if resource is None or (setting != PROJECT and project.get(resource).trouble):
            continue
        wanted = requirements.needed(setting)
        seen = project.allowed(resource, wanted)
        if seen.trouble:
            yield project.unseen(f"what you may do with {resource.label}", seen)
            continue
        lacking = [name for name in wanted if name not in seen.value.get("permissions", ())]
        does = "you may run jobs in it" if setting == PROJECT else "you may start jobs as it"
        yield not_yours(project, setting, resource, lacking) if lacking else ok(resource.label, does)


def roles(project: Project) -> Iterator[Finding]:
    """The roles of the accounts of the settings."""
    for setting in ACCOUNTS:
        email = project.configured.get(setting)
        wanted = [grant for grant in requirements.grants(project.configured) if grant.to == setting]
        if not email or not wanted:
            continue
        member = resources.member(email)
        if member.startswith("serviceAccount:") and project.get(resources.account(email, project.id)).missing:
            continue  # told where accounts are
        yield from _held(project, email, member, wanted)


def agents(project: Project) -> Iterator[Finding]:
    """Google's own accounts in the project: that they are there, and have access to what they work with."""
    grants = requirements.grants(project.configured)
    named = [
        agent for agent in requirements.agents().values() if any(grant.to == agent.name for grant in grants)
    ]
    if not named:
        yield unset("a bucket, an account, a key or a reward that Google's agents work with")
    for agent in named:
        wanted = [grant for grant in grants if grant.to == agent.name]
        yield from _agent(project, agent, wanted)


def _agent(project: Project, agent: Agent, wanted: list[Grant]) -> Iterator[Finding]:
    number = project.number
    if not number:
        yield Finding(Status.UNSEEN, agent.title, "not seen: nobody tells the project's number")
        return
    member = agent.member(number)
    email = member.partition(":")[2]
    policy = project.policy(project.itself)
    if project.state(agent.needs) == "DISABLED":
        return  # told where APIs are
    if not policy.seen.trouble and agent.role and not policy.gives(member, agent.role):
        if agent.late and not late.exists(project, agent):
            what = f"{agent.title} does not exist yet; {agent.late} makes it"
            cure = Cure((cures.AGENTS,), late.terraform_input(project, *late.wanted(project)))
            yield warning("VT145", email, what, cure)
            return
        lines = [] if agent.late else [cures.make_agent(agent, project.id)]
        lines.append(cures.grant(project.itself, member, agent.role))
        what = f"lacks {agent.role} on the project, which Google gives it"
        if not late.exists(project, agent):
            # It has nothing at all, and is perhaps not even there: one fault, and all that it needs.
            lacks = [finding for finding in _held(project, email, member, wanted, agent) if finding.rule]
            lines += [line for finding in lacks for line in finding.cure.commands]
            what, wanted = f"has no role at all; {what}", []
        yield fault("VT146", email, what, Cure(tuple(lines)))
    yield from _held(project, email, member, wanted, agent)


def _held(
    project: Project, who: str, member: str, wanted: list[Grant], agent: Agent | None = None
) -> Iterator[Finding]:
    """Whether somebody has these roles: a finding for each thing on which one lacks, one line for those that do not."""
    inherited = project.policy(project.itself)
    has, well = 0, True
    by_thing: dict[Resource, list[Grant]] = {}
    for grant in wanted:
        resource = project.resource(grant.on)
        if resource is not None and not project.get(resource).trouble:
            others = by_thing.setdefault(resource, [])
            others += [] if grant.role in [other.role for other in others] else [grant]
    for resource, grants in by_thing.items():
        policy = inherited if resource.kind == "project" else project.policy(resource)
        lacking = []
        for grant in grants:
            by = policy.gives(member, grant.role) or inherited.gives(member, grant.role)
            if by is None:
                lacking.append(grant)
            elif by.condition:
                has += 1
                yield _conditional(resource, who, member, grant.role, by.condition)
            else:
                has += 1
        if lacking:
            well = False
            found = _lacking(project, resource, who, member, lacking, [policy, inherited], agent)
            may_not_exist = agent and not agent.late and not agent.role and not any(policy.of(member))
            if agent and may_not_exist and found.status is Status.FAULT:
                # Nothing shows whether it exists; no role can be given to one that does not.
                lines = (cures.make_agent(agent, project.id), *found.cure.commands)
                found = replace(found, cure=replace(found.cure, commands=lines))
            yield found
    if has and well:
        yield ok(who, f"{agent.title}, {_roles(has)}" if agent else f"has {_roles(has)}")


def _roles(count: int) -> str:
    return f"{count} role{'' if count == 1 else 's'}"


def _lacking(
    project: Project,
    resource: Resource,
    who: str,
    member: str,
    grants: list[Grant],
    policies: list[Policy],
    agent: Agent | None,
) -> Finding:
    for policy in policies:
        if policy.seen.trouble:
            return project.unseen(f"roles of {who} on {resource.label}", policy.seen, policies=True)
    roles = [grant.role for grant in grants]
    lines = [cures.grant(resource, member, role) for role in roles]
    terraform = late.terraform_input(project) if agent and agent.late else ""
    cure = Cure(tuple(lines), terraform, apply=not terraform)
    why = " ".join(dict.fromkeys(grant.why for grant in grants))
    what = f"lacks {', '.join(roles)} on {resource.label}"
    custom = {held.role for policy in policies for held in policy.of(member) if "/roles/" in held.role}
    if custom:
        what += f"; whether {', '.join(sorted(custom))} gives as much is not looked at"
        return warning("VT148", who, what, cure, why=why)
    return fault(_rule(resource, roles, agent), who, what, cure, why=why)


def _rule(resource: Resource, roles: list[str], agent: Agent | None) -> str:
    if agent:
        return "VT155" if resource.kind == "key" else "VT144"
    return "VT143" if resource.kind == "account" and "roles/iam.serviceAccountUser" in roles else "VT142"


def _conditional(resource: Resource, who: str, member: str, role: str, condition: str) -> Finding:
    what = f'has {role} on {resource.label} under a condition alone: "{condition}"'
    return warning("VT147", who, what, Cure((cures.grant(resource, member, role),)))


def policy(project: Project) -> Iterator[Finding]:
    """The project's own policy: basic roles of accounts that jobs run as, and roles that everybody has."""
    found = project.policy(project.itself)
    where = f"policy of {project.itself.label}"
    if found.seen.trouble:
        yield project.unseen(where, found.seen, policies=True)
        return
    members = (resources.member(email) for name in ACCOUNTS if (email := project.configured.get(name)))
    ours = {member for member in members if member.startswith("serviceAccount:")}  # people may own a project
    ill = [
        (member, held.role)
        for held in found.bindings
        for member in held.members
        if held.role in _BASIC and member in ours
    ]
    for member, role in ill:
        lines = (*_instead(project, found, member), cures.revoke(project.itself, member, role))
        yield warning("VT171", member.partition(":")[2], f"has {role} on the project", Cure(lines))
    for member, role in found.public():
        cure = Cure((cures.revoke(project.itself, member, role),))
        yield warning("VT172", project.itself.label, f"{member} has {role}", cure)
    if not ill and not any(found.public()):
        yield ok(where, "no basic role of an account of yours, nothing that everybody has")


def _instead(project: Project, found: Policy, member: str) -> list[str]:
    """What gives an account the roles that it has by basic ones alone: it needs them before those are taken away."""
    narrow = replace(found, bindings=tuple(held for held in found.bindings if held.role not in _BASIC))
    lines: dict[str, None] = {}
    for grant in requirements.grants(project.configured):
        resource = project.resource(grant.on)
        named = project.configured.get(grant.to)
        if not named or resources.member(named) != member or resource is None:
            continue
        policy = narrow if resource.kind == "project" else project.policy(resource)
        if not (policy.seen.trouble or policy.gives(member, grant.role) or narrow.gives(member, grant.role)):
            lines[cures.grant(resource, member, grant.role)] = None
    return list(lines)
