/*
 * schema_query.h
 *		The query that describes the schema: one row per object that could be
 *		used to get past a rule, its name and its definition.
 *
 * It runs from C, and not from a function in the catalogue, so that whoever
 * replaces functions cannot replace the eye that would see it.  It needs
 * search_path = pg_catalog, pg_temp, so that names come out qualified.
 *
 * What is left out may change: statistics, storage, fillfactor and other
 * parameters of tables, steps of sequences, comments, and the right to read or
 * to execute that is given to a role by name.
 */
#ifndef PAY_SCHEMA_QUERY_H
#define PAY_SCHEMA_QUERY_H

/* What everything else is about: the schema, its relations, the extension. */
#define QUERY_SUBJECTS \
	"WITH s AS MATERIALIZED (SELECT * FROM pg_namespace WHERE nspname = 'payments'), " \
	"e AS MATERIALIZED (SELECT * FROM pg_extension WHERE extname = 'payments'), " \
	"m AS MATERIALIZED (SELECT d.classid, d.objid FROM pg_depend d JOIN e ON e.oid = d.refobjid " \
	" WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), " \
	"r AS MATERIALIZED (SELECT c.*, c.oid::regclass::text AS name, " \
	"  CASE WHEN EXISTS (SELECT FROM m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid) " \
	"  THEN '' ELSE ', not of the extension' END AS stranger " \
	" FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM s)) "

/* The rows that the extension brings along are as good as its schema. */
#define QUERY_SCHEMA \
	"SELECT 'schema ' || nspname, 'owner ' || pg_get_userbyid(nspowner) FROM s" \
	" UNION ALL " \
	"SELECT 'extension ' || extname, format('version %s, owner %s, dumps %s', extversion, pg_get_userbyid(extowner)," \
	"  (SELECT string_agg(format('%s%s', u.t::regclass, ' ' || nullif(u.w, '')), '; ' ORDER BY u.t::regclass::text COLLATE \"C\")" \
	"   FROM unnest(extconfig, extcondition) u (t, w))) FROM e" \
	" UNION ALL " \
	"SELECT 'member ' || pg_describe_object(m.classid, m.objid, 0), 'outside of the schema' FROM m" \
	" WHERE NOT (m.classid = 'pg_class'::regclass AND m.objid IN (SELECT oid FROM r)" \
	"  OR m.classid = 'pg_proc'::regclass AND m.objid IN (SELECT oid FROM pg_proc WHERE pronamespace = (SELECT oid FROM s))" \
	"  OR m.classid = 'pg_type'::regclass AND m.objid IN (SELECT oid FROM pg_type WHERE typnamespace = (SELECT oid FROM s)))" \
	" UNION ALL " \
	"SELECT 'currency ' || code, 'digits ' || minor_units FROM ONLY payments.currency WHERE code IN ('KRW', 'USD', 'JPY')"

/*
 * The flags of pg_class that the server trusts instead of looking: a table
 * with triggers that says it has none fires none.
 */
#define QUERY_RELATIONS \
	"SELECT CASE r.relkind WHEN 'r' THEN 'table ' WHEN 'v' THEN 'view ' WHEN 'S' THEN 'sequence ' WHEN 'c' THEN 'type '" \
	"  ELSE 'relation ' END || r.name, concat('owner ', pg_get_userbyid(r.relowner), ', kind ', r.relkind," \
	"  ', persistence ', r.relpersistence, ', access method ' || a.amname, ', checks ' || nullif(r.relchecks, 0)::text," \
	"  CASE WHEN r.relrowsecurity THEN ', row security' END, CASE WHEN r.relforcerowsecurity THEN ', forced row security' END," \
	"  CASE WHEN r.relispartition THEN ', partition' END," \
	"  CASE WHEN NOT r.relhastriggers AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = r.oid) THEN ', triggers switched off' END," \
	"  CASE WHEN NOT r.relhasrules AND EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = r.oid) THEN ', rules switched off' END," \
	"  CASE WHEN NOT r.relhasindex AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid) THEN ', indexes switched off' END," \
	"  CASE WHEN NOT r.relhassubclass AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = r.oid) THEN ', children hidden' END," \
	"  (SELECT format(', type %s from %s to %s%s', q.seqtypid::regtype, q.seqmin, q.seqmax, CASE WHEN q.seqcycle THEN ', cycle' END)" \
	"   FROM pg_sequence q WHERE q.seqrelid = r.oid)," \
	"  CASE WHEN r.relkind = 'v' THEN ', options ' || r.reloptions::text END," \
	"  CASE WHEN r.relkind IN ('v', 'm') THEN ': ' || pg_get_viewdef(r.oid) END, r.stranger)" \
	" FROM r LEFT JOIN pg_am a ON a.oid = r.relam WHERE r.relkind NOT IN ('i', 'I')" \
	" UNION ALL " \
	"SELECT format('column %s.%s', r.name, quote_ident(a.attname)), concat('number ', a.attnum, ', ', format_type(a.atttypid, a.atttypmod)," \
	"  ', collation ' || nullif(a.attcollation, 0)::regcollation::text, CASE WHEN a.attnotnull THEN ', not null' END," \
	"  CASE WHEN d.oid IS NOT NULL THEN ', default ' || pg_get_expr(d.adbin, d.adrelid) END," \
	"  ', identity ' || nullif(a.attidentity::text, ''), ', generated ' || nullif(a.attgenerated::text, '')," \
	"  ', of older rows ' || a.attmissingval::text)" \
	" FROM r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped" \
	"  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum" \
	" WHERE r.relkind NOT IN ('i', 'I', 'S')" \
	" UNION ALL " \
	"SELECT 'index ' || r.name, concat(pg_get_indexdef(r.oid), ', ', CASE WHEN i.indisvalid AND i.indisready AND i.indislive" \
	"  THEN 'valid' ELSE 'not valid' END, CASE WHEN i.indisunique THEN ', unique' END, CASE WHEN i.indisprimary THEN ', primary' END," \
	"  CASE WHEN NOT i.indimmediate THEN ', deferrable' END)" \
	" FROM r JOIN pg_index i ON i.indexrelid = r.oid" \
	" WHERE NOT (r.name ~ '_cc(new|old)[0-9]*$' AND NOT i.indisvalid)"

/* Foreign keys of the application put triggers of the server's on our tables. */
#define QUERY_RULES \
	"SELECT format('constraint %s of %s', quote_ident(c.conname), c.conrelid::regclass), concat(pg_get_constraintdef(c.oid)," \
	"  CASE WHEN NOT c.convalidated THEN ', not validated' END, CASE WHEN c.condeferrable THEN ', deferrable' END," \
	"  CASE WHEN c.condeferred THEN ', deferred' END)" \
	" FROM pg_constraint c WHERE c.connamespace = (SELECT oid FROM s) OR c.conrelid IN (SELECT oid FROM r)" \
	" UNION ALL " \
	"SELECT format('trigger %s of %s', CASE WHEN t.tgisinternal AND c.oid IS NOT NULL THEN concat(quote_ident(c.conname), ' ', t.tgfoid::regproc)" \
	"  ELSE quote_ident(t.tgname) END, r.name), concat('state ', t.tgenabled, ', type ', t.tgtype, ', calls ', t.tgfoid::regprocedure," \
	"  CASE WHEN t.tgisinternal THEN ', internal' ELSE ', ' || pg_get_triggerdef(t.oid) END)" \
	" FROM r JOIN pg_trigger t ON t.tgrelid = r.oid LEFT JOIN pg_constraint c ON c.oid = t.tgconstraint" \
	" WHERE NOT coalesce(t.tgisinternal AND c.contype = 'f' AND c.confrelid = r.oid AND c.conrelid NOT IN (SELECT oid FROM r)" \
	"  AND t.tgfoid::regproc::text ~ '^\"?RI_FKey_[a-z_]+\"?$' AND t.tgfoid < 10000, false)" \
	" UNION ALL " \
	"SELECT format('rule %s of %s', quote_ident(w.rulename), r.name), concat('state ', w.ev_enabled, ', ', pg_get_ruledef(w.oid))" \
	" FROM r JOIN pg_rewrite w ON w.ev_class = r.oid" \
	" UNION ALL " \
	"SELECT format('policy %s of %s', quote_ident(p.polname), r.name), concat(p.polcmd, ' ', pg_get_expr(p.polqual, p.polrelid), ' '," \
	"  pg_get_expr(p.polwithcheck, p.polrelid)) FROM r JOIN pg_policy p ON p.polrelid = r.oid" \
	" UNION ALL " \
	"SELECT format('inheritance of %s from %s', h.inhrelid::regclass, h.inhparent::regclass), 'number ' || h.inhseqno" \
	" FROM pg_inherits h WHERE (h.inhrelid IN (SELECT oid FROM r) OR h.inhparent IN (SELECT oid FROM r))" \
	"  AND h.inhparent NOT IN (SELECT oid FROM r WHERE relkind = 'I')" \
	" UNION ALL " \
	"SELECT format('subscription to %s', r.name), 'state ' || u.srsubstate::text FROM r JOIN pg_subscription_rel u ON u.srrelid = r.oid"

#define QUERY_FUNCTIONS \
	"SELECT format('function %s', p.oid::regprocedure), concat('owner ', pg_get_userbyid(p.proowner), CASE WHEN p.prosecdef THEN ', definer' END," \
	"  ', library ' || p.probin, ', symbol ' || CASE WHEN p.probin IS NOT NULL THEN p.prosrc END, ', settings ' || p.proconfig::text, ': '," \
	"  CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE p.prosrc END," \
	"  CASE WHEN NOT EXISTS (SELECT FROM m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid) THEN ', not of the extension' END)" \
	" FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM s)" \
	" UNION ALL " \
	"SELECT format('function %s', p.oid::regprocedure), 'edits pages below the server''s rules (pg_surgery)'" \
	" FROM pg_proc p WHERE p.probin ~ 'pg_surgery' AND p.pronamespace <> (SELECT oid FROM s)" \
	" UNION ALL " \
	"SELECT 'type ' || t.oid::regtype, concat('owner ', pg_get_userbyid(t.typowner), ', kind ', t.typtype, ', ', (SELECT string_agg(l.enumlabel, ', '" \
	"  ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid))" \
	" FROM pg_type t WHERE t.typnamespace = (SELECT oid FROM s) AND t.typtype IN ('e', 'd', 'r', 'b') AND t.typcategory <> 'A'"

/*
 * Rights that nobody should have: to write our tables, but for the owner, and
 * anything at all for PUBLIC.
 */
#define QUERY_PRIVILEGES \
	"SELECT concat('privilege ', x.privilege_type, ' on ', g.name, ' for ', coalesce(nullif(x.grantee, 0)::regrole::text, 'PUBLIC')), 'granted'" \
	" FROM (SELECT r.name, r.relowner, coalesce(r.relacl, acldefault(CASE r.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, r.relowner))," \
	"   ARRAY['SELECT', 'USAGE'] FROM r WHERE r.relkind NOT IN ('i', 'I', 'c')" \
	"  UNION ALL SELECT r.name || '.' || a.attname, r.relowner, a.attacl, ARRAY['SELECT']" \
	"   FROM r JOIN pg_attribute a ON a.attrelid = r.oid WHERE a.attacl IS NOT NULL" \
	"  UNION ALL SELECT p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), ARRAY['EXECUTE']" \
	"   FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM s)" \
	"  UNION ALL SELECT 'schema ' || s.nspname, s.nspowner, s.nspacl, ARRAY['USAGE'] FROM s) g (name, owner, acl, harmless)," \
	" LATERAL aclexplode(g.acl) x" \
	" WHERE x.grantee <> g.owner AND (x.grantee = 0 OR x.privilege_type <> ALL (g.harmless))" \
	" GROUP BY 1"

/* Everything, as columns object and definition, under the name "now". */
#define PAY_SCHEMA_QUERY \
	QUERY_SUBJECTS \
	", now AS MATERIALIZED (SELECT o.object COLLATE \"C\" AS object, string_agg(o.definition, '; ' ORDER BY o.definition COLLATE \"C\") AS definition" \
	" FROM (" QUERY_SCHEMA " UNION ALL " QUERY_RELATIONS " UNION ALL " QUERY_RULES " UNION ALL " \
	QUERY_FUNCTIONS " UNION ALL " QUERY_PRIVILEGES ") o (object, definition) GROUP BY 1) "

/*
 * Which versions the rows have that statements about our relations and functions
 * change.  VACUUM and ANALYZE write into a row as it is, and leave its version.
 */
#define VERSIONS(catalogue, key, part, condition) \
	"SELECT '" catalogue "', " key "::oid, " part "::integer, xmin FROM " catalogue " WHERE " condition
#define IN_OURS(column) column " IN (SELECT oid FROM ours)"

#define PAY_SCHEMA_VERSIONS_QUERY \
	"WITH ours AS MATERIALIZED (SELECT oid FROM pg_class WHERE relnamespace = 'payments'::regnamespace)" \
	" SELECT concat(count(*), ' ', sum(hashtextextended(concat_ws(' ', v.catalogue, v.key, v.part, v.version), 0))) FROM (" \
	VERSIONS("pg_class", "oid", "0", "relnamespace = 'payments'::regnamespace") " UNION ALL " \
	VERSIONS("pg_attribute", "attrelid", "attnum", IN_OURS("attrelid")) " UNION ALL " \
	VERSIONS("pg_attrdef", "oid", "0", IN_OURS("adrelid")) " UNION ALL " \
	VERSIONS("pg_index", "indexrelid", "0", IN_OURS("indrelid")) " UNION ALL " \
	VERSIONS("pg_constraint", "oid", "0", IN_OURS("conrelid")) " UNION ALL " \
	VERSIONS("pg_trigger", "oid", "0", IN_OURS("tgrelid")) " UNION ALL " \
	VERSIONS("pg_rewrite", "oid", "0", IN_OURS("ev_class")) " UNION ALL " \
	VERSIONS("pg_policy", "oid", "0", IN_OURS("polrelid")) " UNION ALL " \
	VERSIONS("pg_inherits", "inhrelid", "inhseqno", IN_OURS("inhrelid") " OR " IN_OURS("inhparent")) " UNION ALL " \
	VERSIONS("pg_subscription_rel", "srrelid", "0", IN_OURS("srrelid")) " UNION ALL " \
	VERSIONS("pg_proc", "oid", "0", "pronamespace = 'payments'::regnamespace") \
	") v (catalogue, key, part, version)"

#endif							/* PAY_SCHEMA_QUERY_H */
