/*
 * fault.c
 *		Named points of the code at which a test may strike.
 *
 * In no build but the one that "make faults" makes.  A plan is a file in
 * payments.fault_dir, named after its point, that says what shall happen at
 * which pass, in any process:
 *
 *		kill 1			SIGKILL, at the first pass
 *		term 2			SIGTERM, at the second; go on
 *		exit 1			end the process
 *		error 1			raise an error
 *		sleep 1 500		do nothing for so many milliseconds
 *		stop 1			do nothing until the file is gone
 *
 * A plan is carried out once: the file then says "taken" and by whom, so that
 * it outlives the process, the server's restart too, and the test can wait for
 * it.  Whoever may write into that folder owns the server anyway.
 *
 * Between the look at the file and the deed nothing is held, and nothing but
 * system calls is used, so a point may stand in a callback of libcurl.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"

#include "fault.h"

#define PLAN_SIZE	64
#define STEP_US		2000

typedef struct Plan
{
	char		path[MAXPGPATH];
	char		action[16];
	int			ms;
} Plan;

static char *fault_dir = NULL;

static bool take_plan(const char *point, Plan *plan);
static bool read_plan(int fd, Plan *plan, int *passes);
static void write_plan(int fd, const char *text);
static int	open_plan(const char *point, Plan *plan);
static void carry_out(const Plan *plan, const char *point, bool may_raise);

void
pay_fault_init(void)
{
	DefineCustomStringVariable("payments.fault_dir",
							   "Folder with the plans of tests that strike at fault points.",
							   NULL,
							   &fault_dir,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
}

void
pay_fault_hit(const char *point, bool may_raise)
{
	Plan		plan;

	if (take_plan(point, &plan))
		carry_out(&plan, point, may_raise);
}

bool
pay_fault_is_planned(const char *point)
{
	Plan		plan;
	int			passes;
	int			fd = open_plan(point, &plan);
	bool		planned = fd >= 0 && read_plan(fd, &plan, &passes);

	if (fd >= 0)
		close(fd);
	return planned;
}

/* Count this pass; true when it is the one that the plan is about. */
static bool
take_plan(const char *point, Plan *plan)
{
	int			passes;
	int			fd = open_plan(point, plan);
	char		text[PLAN_SIZE];
	bool		taken = false;

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX) == 0 && read_plan(fd, plan, &passes))
	{
		taken = passes <= 1;
		if (taken)
			snprintf(text, sizeof(text), "taken %s %d\n", plan->action,
					 (int) getpid());
		else
			snprintf(text, sizeof(text), "%s %d %d\n", plan->action,
					 passes - 1, plan->ms);
		write_plan(fd, text);
	}
	close(fd);
	return taken;
}

static int
open_plan(const char *point, Plan *plan)
{
	if (fault_dir == NULL || fault_dir[0] == '\0')
		return -1;
	snprintf(plan->path, sizeof(plan->path), "%s/%s", fault_dir, point);
	return open(plan->path, O_RDWR | O_CLOEXEC);
}

/* False when the plan was taken already. */
static bool
read_plan(int fd, Plan *plan, int *passes)
{
	char		text[PLAN_SIZE];
	ssize_t		n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	plan->ms = 0;
	return sscanf(text, "%15s %d %d", plan->action, passes, &plan->ms) >= 2 &&
		strcmp(plan->action, "taken") != 0;
}

static void
write_plan(int fd, const char *text)
{
	ssize_t		len = strlen(text);

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, len, 0) != len)
		_exit(3);				/* a test that cannot be trusted */
}

static void
carry_out(const Plan *plan, const char *point, bool may_raise)
{
	if (strcmp(plan->action, "kill") == 0)
	{
		kill(getpid(), SIGKILL);
		for (;;)
			pg_usleep(STEP_US);
	}
	else if (strcmp(plan->action, "term") == 0)
		kill(getpid(), SIGTERM);
	else if (strcmp(plan->action, "exit") == 0)
	{
		if (!may_raise)
			_exit(1);
		proc_exit(1);
	}
	else if (strcmp(plan->action, "error") == 0 && may_raise)
		elog(ERROR, "fault point \"%s\"", point);
	else if (strcmp(plan->action, "sleep") == 0)
	{
		for (int64 left = plan->ms * INT64CONST(1000); left > 0; left -= STEP_US)
			pg_usleep(STEP_US);
	}
	else if (strcmp(plan->action, "stop") == 0)
	{
		while (access(plan->path, F_OK) == 0)
			pg_usleep(STEP_US);
	}
	else
		_exit(3);				/* so is one whose plan makes no sense */
}
