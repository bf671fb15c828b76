// SPDX-License-Identifier: Apache-2.0
#include "mask/key_rules.h"

namespace sallyport::mask {
namespace {

// What may stand between a name and its value: "name": "value", name = value, name => 'value',
// <name>value, --name value, name := `value`; behind a comma only a quoted value: put("name", "value").
#define SP_ASSIGNED                                                                    \
  R"((?:[ \t]{1,2}string)?[ \t]{0,3}["'`\]]{0,2}[ \t]{0,8}(?:,[ \t]{0,8}[a-z]?["'`]|)" \
  R"((?:=>|:{1,3}=|\.=|==?|:{1,3}|\|\|:?|->|<=|\?=|>)[ \t]{0,8}(?:\r?\n[ \t]{1,16})?(?:[a-z]?["'`(\[]{1,3})?))"

constexpr KeyRule kRules[] = {
    // Clouds
    {"aws-access-key", "AKIA ASIA ABIA ACCA A3T", R"((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b)"},
    {"aws-bedrock", "ABSK", R"(ABSK[A-Za-z0-9+/]{60,269}={0,2})"},
    {"aws-bedrock-short", "bedrock-api-key-", R"(bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/%]*={0,2})"},
    // Many are printed in web pages on purpose: alone, one is weak evidence.
    {"google-api", "AIza", R"(AIza[\w-]{35})", 0, false, true, 3.0F, Proof::shape, true, 0.4F,
     "key|token|secret|credential|google|gcp|firebase|gemini|maps|youtube"},
    {"google-oauth", "ya29. GOCSPX-", R"((?:ya29\.|GOCSPX-)[\w-]{20,})"},
    {"azure-ad-secret", "Q~", R"([A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})", 4, false, false, 2.5F, Proof::shape,
     true},
    {"alibaba", "LTAI", R"(LTAI[A-Za-z0-9]{16,26}\b)"},
    {"digitalocean", "dop_v1_ doo_v1_ dor_v1_", R"(do[opr]_v1_[a-f0-9]{64}\b)"},
    {"yandex", "AQVN t1. YC",
     R"(AQVN[\w-]{35,38}\b|t1\.[A-Z0-9a-z_-]+[=]{0,2}\.[A-Z0-9a-z_-]{86}[=]{0,2}|YC[\w-]{38}\b)"},
    {"heroku", "HRKU-", R"(HRKU-[\w-]{30,70})"},
    {"cloudflare", "v1.0-", R"(v1\.0-[a-f0-9]{24}-[a-f0-9]{146})"},
    {"fly", "fo1_ fm1 fm2_", R"((?:fo1_[\w-]{43}|fm1[ar]_[A-Za-z0-9+/]{100,}={0,3}|fm2_[A-Za-z0-9+/]{100,}={0,3}))"},
    {"scalingo", "tk-us-", R"(tk-us-[\w-]{48}\b)"},
    {"atlassian", "ATATT3 ATCTT3 ATBB", R"((?:AT[AC]TT3[\w=-]{60,}|ATBB[A-Za-z0-9_=.-]{20,}))"},
    {"openshift", "sha256~", R"(sha256~[\w-]{43}\b)"},
    // Code and packages
    {"github", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", R"((?:gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_\w{22,255}))"},
    {"gitlab", "glpat- glptt- gldt- glrt- glrtr- glft- glimt- glagent- gloas- glcbt- glffct- glsoat-",
     R"(gl(?:pat|ptt|dt|rtr?|ft|imt|agent|oas|cbt|ffct|soat)-[\w.=-]{16,300})"},
    {"gitlab-runner", "GR1348941", R"(GR1348941[\w-]{20,50})"},
    {"gitlab-session", "_gitlab_session=", R"(_gitlab_session=([0-9a-z]{32}))"},
    {"npm", "npm_", R"(npm_[A-Za-z0-9]{36}\b)"},
    {"pypi", "pypi-AgE", R"(pypi-AgE[\w-]{40,})"},
    {"rubygems", "rubygems_", R"(rubygems_[a-f0-9]{48}\b)"},
    {"clojars", "CLOJARS_", R"((?i)CLOJARS_[a-z0-9]{60})", 0, true},
    {"postman", "PMAK-", R"((?i)PMAK-[a-f0-9]{24}-[a-f0-9]{34})", 0, true},
    {"pulumi", "pul-", R"(pul-[a-f0-9]{40}\b)"},
    {"prefect", "pnu_", R"(pnu_[A-Za-z0-9]{36}\b)"},
    {"terraform", ".atlasv1.", R"((?i)[a-z0-9]{14}\.atlasv1\.[a-z0-9=_-]{60,70})", 14, true, false},
    {"doppler", "dp.pt. dp.st. dp.ct.", R"((?i)dp\.[sp]?[ct]?t?\.(?:[a-z0-9_-]{2,35}\.)?[a-z0-9]{40,44}\b)", 0, true},
    {"infracost", "ico-", R"(ico-[A-Za-z0-9]{32}\b)", 0, false, true, 3.0F, Proof::shape, true},
    {"harness", "pat. sat.", R"((?:pat|sat)\.[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}\b)"},
    {"jfrog", "AKCp cmVmd", R"((?:AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59})\b)"},
    {"sonar", "squ_ sqp_ sqa_", R"(sq[upa]_[A-Za-z0-9=_-]{40}\b)"},
    {"sourcegraph", "sgp_ slk_", R"((?:sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}|slk_[a-f0-9]{64})\b)"},
    {"readme", "rdme_", R"(rdme_[a-z0-9]{70}\b)"},
    {"linear", "lin_api_ lin_oauth_", R"((?i)lin_(?:api|oauth)_[a-z0-9]{40,64}\b)", 0, true},
    {"notion", "ntn_", R"(ntn_[0-9]{11}[A-Za-z0-9]{35})"},
    {"octopus", "API-", R"(API-[A-Z0-9]{26}\b)", 0, false, true, 3.0F},
    {"planetscale", "pscale_", R"((?i)pscale_(?:tkn|pw|oauth)_[\w=.-]{32,64})", 0, true},
    {"clickhouse", "4b1d", R"(4b1d[A-Za-z0-9]{38}\b)"},
    {"databricks", "dapi", R"(dapi[a-f0-9]{32}(?:-\d)?)", 0, false, true, 2.5F, Proof::shape, true},
    {"airtable", "pat", R"(pat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b)"},
    {"contentstack", "cs", R"(cs[a-f0-9]{12,40}\b)", 0, false, true, 3.6F},
    // Observability and secrets
    {"grafana", "glc_ glsa_ eyJrIjoi",
     R"((?:glc_[A-Za-z0-9+/]{32,400}={0,3}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|eyJrIjoi[A-Za-z0-9]{70,400}={0,3}))"},
    {"new-relic", "NRAK- NRII- NRJS- NRIQ-", R"((?i)NR(?:AK|II|JS|IQ)-[a-z0-9-]{19,40})", 0, true},
    {"dynatrace", "dt0c01. dt0s", R"((?i)dt0[a-z]\d\d\.[a-z0-9]{8,24}\.[a-z0-9]{64})", 0, true},
    {"sentry", "sntrys_ sntryu_", R"((?:sntrys_eyJ[A-Za-z0-9+/=_-]{80,}|sntryu_[a-f0-9]{64}\b))"},
    {"launchdarkly", "sdk- api- mob-",
     R"((?:sdk|api|mob)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b)"},
    {"vault", "hvs. hvb. hvr.", R"(hv[sbr]\.[\w-]{24,300})"},
    {"vault-legacy", "s.", R"(s\.[A-Za-z0-9]{24}\b)", 0, false, true, 3.6F, Proof::mixed},
    {"onepassword", "ops_eyJ A3-",
     R"((?:ops_eyJ[A-Za-z0-9+/=_-]{100,}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}))"},
    {"age", "AGE-SECRET-KEY-1", R"(AGE-SECRET-KEY-1[0-9A-Z]{58})", 0, false, true, 0},
    {"defined-networking", "dnkey-", R"((?i)dnkey-[a-z0-9=_-]{26}-[a-z0-9=_-]{52})", 0, true},
    {"authress", "sc_ ext_ scauth_ authress_",
     R"((?i)(?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[a-z0-9+/_=-]{30,120})",
     0, true},
    // Money
    {"stripe", "sk_ rk_ pk_ whsec_",
     R"((?:[srp]k_(?:live|test|prod)_[0-9A-Za-z]{10,120}|whsec_[A-Za-z0-9+/=]{24,80}))"},
    {"square", "sq0atp- sq0csp- EAAA", R"((?:sq0(?:atp|csp)-[\w-]{22,60}|EAAA[\w-]{22,60})\b)"},
    {"shopify", "shpat_ shpca_ shppa_ shpss_", R"(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b)"},
    {"shippo", "shippo_", R"(shippo_(?:live|test)_[a-f0-9]{40}\b)"},
    {"duffel", "duffel_", R"((?i)duffel_(?:test|live)_[\w=-]{43})", 0, true},
    {"easypost", "EZAK EZTK", R"(EZ[AT]K[A-Za-z0-9]{54}\b)"},
    {"flutterwave", "FLWSECK FLWPUBK", R"((?i)FLW(?:SECK|PUBK)(?:_TEST)?-?[a-h0-9]{12,32}(?:-X)?)", 0, true},
    {"lob", "live_ test_", R"((?:(?:live|test)_[a-f0-9]{35}|(?:live|test)_pub_[a-f0-9]{31})\b)"},
    {"gocardless", "live_", R"((?i)live_[a-z0-9=_-]{40}\b)", 0, true, true, 3.0F},
    {"coinbase-paystack", "sk_live_ sk_test_", R"(sk_(?:live|test)_[a-z0-9]{40})"},
    // Messages and people
    {"slack-app", "xapp-", R"((?i)xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{32,})", 0, true},
    {"slack-bot", "xoxb-", R"((?i)xoxb-\d{8,14}-(?:\d{8,14}-)?[a-z0-9]{16,34})", 0, true},
    {"slack-user", "xoxp- xoxe-", R"((?i)xox[pe]-(?:\d{8,14}-){2,3}[a-z0-9]{24,40})", 0, true},
    {"slack-config", "xoxe.xox xoxe-", R"((?i)(?:xoxe\.xox[bp]-\d-[a-z0-9]{120,}|xoxe-\d-[a-z0-9]{120,}))", 0, true},
    {"slack-legacy", "xoxa- xoxr- xoxo- xoxs- xoxc- xoxd-",
     R"((?i)(?:xox[ar]-(?:\d-)?[a-z0-9]{8,48}\b|xox[os]-\d+-\d+-\d+-[a-f0-9]{8,})"
     R"(|xoxc-\d+-\d+-\d+-[a-f0-9]{32,}|xoxd-[\w%+/=]{40,}))",
     0, true, true, 2.2F, Proof::mixed},
    {"slack-webhook", "hooks.slack.com/",
     R"(hooks\.slack\.com/((?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60}))"},
    {"teams-webhook", "webhook.office.com/", R"(webhook\.office\.com/(webhookb2/[\w@/-]{80,}))"},
    {"discord-webhook", "discord.com/api/webhooks/", R"(discord\.com/api/webhooks/(\d{15,20}/[\w-]{60,80}))"},
    {"telegram", ":A", R"(:(A[\w-]{34})\b)", 0, false, false, 4.0F},
    {"sendgrid", "SG.", R"((?i)SG\.[\w.=-]{60,70})", 0, true},
    {"mailchimp", "-us", R"([a-f0-9]{32}-us\d{1,2}\b)", 32, false, false},
    {"mailgun", "key- pubkey-", R"((?:pub)?key-[a-f0-9]{32}\b)"},
    {"sendinblue", "xkeysib-", R"(xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16})"},
    {"twilio", "SK AC", R"((?:SK|AC)[0-9a-fA-F]{32}\b)"},
    {"facebook", "EAAM EAAC EAAB", R"(EAA[MCB][A-Za-z0-9]{80,}\b)"},
    {"facebook-app", "facebook", R"((?i)facebook[\w .:="'>-]{0,32}?\b(\d{13,17}\|[\w-]{27})\b)", 0, true},
    {"typeform", "tfp_", R"((?i)tfp_[a-z0-9_.=-]{40,70})", 0, true},
    {"adobe", "p8e-", R"((?i)p8e-[a-z0-9]{32}\b)", 0, true},
    {"frameio", "fio-u-", R"((?i)fio-u-[a-z0-9_=-]{64})", 0, true},
    {"mapbox", "pk. sk.", R"((?i)[ps]k\.[a-z0-9_-]{60,90}\.[a-z0-9_-]{22}\b)", 0, true},
    {"maxmind", "_mmk", R"([A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b)", 36, false, false},
    {"intra42", "s-s4t2", R"(s-s4t2(?:ud|af)-[a-f0-9]{64}\b)"},
    {"settlemint", "sm_aat_ sm_pat_ sm_sat_", R"(sm_[aps]at_[A-Za-z0-9]{16}\b)"},
    // Models
    {"anthropic", "sk-ant-", R"(sk-ant-[a-z]+\d\d-[\w-]{80,120}AA)"},
    {"openai", "sk-", R"(sk-(?:proj-|svcacct-|admin-)?[\w-]{20,80}T3BlbkFJ[\w-]{20,80})"},
    {"model-key", "sk-", R"(sk-(?:(?:proj|svcacct|admin)-[\w-]{32,}|or-v1-[a-f0-9]{64}|[A-Za-z0-9]{32,300}\b))", 0,
     false, true, 3.4F, Proof::mixed},
    {"huggingface", "hf_ api_org_", R"((?:hf_|api_org_)[A-Za-z0-9]{34}\b)", 0, false, true, 3.0F},
    {"perplexity", "pplx-", R"(pplx-[A-Za-z0-9]{48}\b)"},
    {"replicate-groq", "r8_ gsk_ xai-", R"((?:r8_[A-Za-z0-9]{37}|gsk_[A-Za-z0-9]{48,56}|xai-[A-Za-z0-9]{70,90})\b)"},
    // Forms
    {"jwt", "eyJ ewog", R"((?:eyJ|ewog)[\w+/-]{8,}={0,2}\.[\w+/-]{8,}={0,2}\.[\w+/-]{0,1000}={0,2})"},
    {"jwt-base64", "ZXlK", R"(ZXlK[A-Za-z0-9+/_-]{40,}={0,2})"},
    {"authorization", "authorization",
     R"((?i)authorization["']?[ \t]*[:=][ \t]*["']?(?:(?:basic|bearer|token|apikey|digest|bot|negotiate)[ \t]+)?)"
     R"(([\w.~+/=-]{8,}))",
     0, true, false, 2.5F, Proof::mixed},
    {"bearer", "bearer", R"((?i)bearer[ \t]+([\w.~+/=-]{16,}))", 0, true, true, 3.0F, Proof::mixed},
    {"url-password", "://", R"(://[^\s:@/"'<>]{0,64}:([^\s:@/"'<>$\{\}]{3,128})@[\w.-]+)", 0, false, false, 0},
    {"curl-user", "-u --user", R"((?:-u|--user)[ \t=]{0,3}["']?[^\s"':]{0,64}["']?:["']?([^\s"'$%<\[{][^\s"']{2,99}))",
     0, false, true, 2.0F},
    {"curl-user-key", "-u --user", R"((?:-u|--user)[ \t=]{0,3}["']?([^\s"':$%<\[{][^\s"':]{9,99}):(?:["'\s]|$))", 0,
     false, true, 2.5F, Proof::mixed},
    {"sidekiq", "contribsys__com", R"((?i)contribsys__com["']?[ \t]?[=:][ \t]?["']?([a-f0-9]{8}:[a-f0-9]{8})\b)", 0,
     true, false},
    // Names that say what their value is
    {"assigned-password", "passw pwd passphrase pass_ _pass",
     R"((?i)(?:passw(?:or)?d|passwd|pwd|passphrase|pass_|_pass)[\w.-]{0,32})" SP_ASSIGNED
     R"(([^\s"'`,;<>(){}\[\]]{6,150}))",
     0, true, false, 2.2F, Proof::mixed},
    {"assigned-secret",
     "token secret api-key apikey api_key access client credential auth private license signing encryption _key -key "
     ".key key",
     R"((?i)(?:token|secret|api[._-]?key|access|client|credential|auth|private|license|signing|encryption)"
     R"(|[_.-]?key)[\w.-]{0,40})" SP_ASSIGNED R"(([\w.~+/=!@#$%^&*?:|-]{10,250}))",
     0, true, false, 3.0F, Proof::named},
};

#undef SP_ASSIGNED

}  // namespace

std::span<const KeyRule> builtin_key_rules() { return kRules; }

}  // namespace sallyport::mask
